"""Receives what the SDKs of Rollbar, Bugsnag, Honeybadger and Elastic APM send, at one endpoint.

Each module reads one format into `homeostasis.collecting.crash.Crash`; `receiver` says where each is sent to.
"""
