"""What keeps people in charge: the kill switch, change freezes, approvals, the audit trail and notifications.

`homeostasis.policy` decides about one patch; what is here decides about all of them, or tells people what was decided.
"""
