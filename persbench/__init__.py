"""persbench: does this model hold a personality, or does it only talk in a costume?"""

__version__ = "0.1.0"
