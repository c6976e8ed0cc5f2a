//! Seeded simulation of many nodes over the production decisions; empty until the simulator is built.
