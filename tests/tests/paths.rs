//! Ways between offices over networks as they are: no UDP, nothing out but port 443, both behind address
//! translation, a lossy and slow line, a line that is dead in one direction. Real `yunling` processes in
//! network namespaces of the test's own. A move must complete exactly once, with equal sums.

#[path = "paths/firewalls.rs"]
mod firewalls;
#[path = "paths/lines.rs"]
mod lines;
#[path = "paths/scene.rs"]
mod scene;
