"""The report of an evidence pack, for people: HTML that prints well, PDF, and what it all does not prove."""
