"""Submissions to the board: a record is read with bounded memory, checked in every number, and stored or refused."""
