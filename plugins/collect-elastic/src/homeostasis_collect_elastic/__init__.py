"""Lets Homeostasis heal from the logs in Elasticsearch or OpenSearch."""
