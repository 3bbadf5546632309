"""The scheduler: requirement in, schedule out; amendments for decisions."""
