"""The steps for alarms, metric filters and the dashboard."""
