"""The engine: graph, passes, tactics, memory plan, plan file, runtime and devices."""
