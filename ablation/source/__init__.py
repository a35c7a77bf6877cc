"""Which code a configuration runs, told by digests of its modules."""
