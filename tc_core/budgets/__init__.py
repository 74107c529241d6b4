"""Budgets: limits in dollars, tokens or calls, which are watched, and which can stop calls before they are made."""
