"""The formats of raw text: each reader turns a file into blocks of lines and talks, and trusts nothing in it."""
