"""Everything under results/: records, their store, leases on trials, estimates from records."""
