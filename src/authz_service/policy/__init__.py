"""Rules over what was read and found; pure.

- `decision`: what the rules may know, what they decide, the `Policy` that the rest of the service asks
- `conditions`: what the policy asks of an expression language (`cel` is the one implementation)
- `rules`: a phase's rules and how their outcomes add up
- `compiled`: the `Policy` made of compiled rules
- `digest`: the policy's digest, which every decision carries
"""
