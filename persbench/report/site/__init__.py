"""The leaderboard's static site: pages from records alone, to be opened from a disk or served from anywhere."""
