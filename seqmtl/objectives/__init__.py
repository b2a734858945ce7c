"""Losses of several tasks to one number."""
