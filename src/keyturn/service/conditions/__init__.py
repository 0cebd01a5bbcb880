"""What policy asks beside people: risk tiers, windows, freezes, tickets, on-call schedules, reminders and escalation."""
