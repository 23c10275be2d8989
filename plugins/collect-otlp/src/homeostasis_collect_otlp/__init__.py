"""A receiver of OTLP, over HTTP and gRPC, for apps that OpenTelemetry watches already.

Exceptions come in log records and in events of spans, requests in the spans of servers, traffic in their metrics.
"""
