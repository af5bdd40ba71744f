"""Devices. Each is a package of its own; the core meets them through plugins.DevicePlugin."""
