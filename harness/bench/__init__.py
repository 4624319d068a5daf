"""The benchmark: workloads made here, this sensor and the tools that it replaces side by side."""
