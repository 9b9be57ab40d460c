"""Beyond one machine: archives and a page with many visitors, on Ray. The extra ``cluster`` brings what is needed.

Ray is imported inside functions alone: the command line starts without it, and the package works without the extra.
"""
