"""Many trials on many ranks: scheduler, placement, heartbeats, launch, speed benchmark, fault drill."""
