"""Log messages that come over the network or a socket: syslog, GELF, JSON lines, and Fluentd's forward protocol."""
