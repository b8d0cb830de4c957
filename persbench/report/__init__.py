"""From records to what people read: tables, figures, the paper's tables and the leaderboard's site."""
