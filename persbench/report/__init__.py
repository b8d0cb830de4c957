"""From records to what people read: tables now; figures, paper tables and the leaderboard site later."""
