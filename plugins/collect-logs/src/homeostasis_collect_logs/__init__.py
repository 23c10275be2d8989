"""The collector `collect-logs`: crashes out of the logs that a service writes already.

`tail` follows files through rotation and `scanner` finds the parts of them that matter; `listening` has what comes over
the network, and `pulling` what other plugins ask a log store for. All give their lines and records to an `assembly`, in
which `envelopes`, `records`, `reports` and `blocks` read what is there.
"""
