"""`script/bench`: this service beside Debian's keepalived, ucarp and lsyncd, on one host, in one run, with the same yardsticks.

peers       what is measured: how each service is configured, started, asked to hand over, taken apart
stage       where: two nodes and a client, the master chosen, everybody settled
tap         the yardstick for packets: what arrives at a machine, with the kernel's own time of arrival
rows        numbers, limits, tables, JSON
takeover    power loss, planned failover, SIGTERM
death       kill -9 and SIGSTOP, of one process and of all
healing     a partition and its end
pace        jitter of advertisements
steadiness  role changes that nobody needed
cost        processor and memory
scraping    what it costs to be watched
copiers     what replicates: lsyncd, version 2, ours; and the pair they do it on
alike       the yardstick for trees: whether one has become like the other
replication one edit, many files, a first synchronisation
arrivals    which changes arrive at all
upkeep      processor and memory of replication, and 100,000 files
chart       the picture in docs/
"""
