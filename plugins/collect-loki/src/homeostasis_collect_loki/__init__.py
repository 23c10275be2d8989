"""Lets Homeostasis heal from the logs in Grafana Loki."""
