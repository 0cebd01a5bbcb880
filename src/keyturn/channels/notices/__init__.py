"""Telling people outside the pages: what a message says, who gets it, and how it is delivered, tried again and kept true."""
