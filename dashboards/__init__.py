"""Grafana's dashboards and Prometheus' rules for pairs of skd-cluster. The JSON files are made of the modules: `script/dashboards`."""
