"""People who talk with a persona and rate it: the settings, the store, the page and the report of a study."""
