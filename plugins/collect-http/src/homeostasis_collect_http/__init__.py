"""The HTTP endpoint that receivers of foreign reports share, and the plugin `collect-http` for our own records.

A receiver is a list of `endpoint.Route`s over a `settings.EndpointTable`; `endpoint.HttpReceiver` serves them. A call
is answered only when what it brought is durable.
"""
