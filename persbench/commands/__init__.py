"""The commands, a file a group; they hold no logic of their own.

Imports stand inside them, so that `persbench --help` answers at once without loading torch.
"""
