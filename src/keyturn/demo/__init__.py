"""The demonstration: a scripted agent that works through the real gates, and the people who watch it."""
