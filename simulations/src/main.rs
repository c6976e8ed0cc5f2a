//! The simulator's command line.
fn main() {
    let cast = yunling_simulations::node::Cast::new();
    let args: Vec<u64> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    if args.len() == 1 {
        let o = yunling_simulations::run::one(&cast, args[0], None, true);
        println!("{}", o.trace);
        return;
    }
    let s = yunling_simulations::run::many(args[0], args[1], 2, |_| {});
    println!("{:#?}", s.tally);
    println!("{} failed", s.failed.len());
    for (seed, v) in s.failed.iter().take(20) { println!("{seed} {v}"); }
}
