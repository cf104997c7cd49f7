"""High availability for a pair of SKUDONET CE load balancers."""

__version__ = "3.0.0"
