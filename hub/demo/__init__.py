"""What ``make live`` runs: a simulated night through the whole system, on one machine."""
