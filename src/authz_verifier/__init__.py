"""The verifier of exports: Python's standard library alone, and nothing of the program that wrote the export.

A copy goes with each export, started by its `verify.py`. Whoever wants to know it before trusting it reads,
in this order:

1. `ed25519` and `tree`: the arithmetic, each line of it in RFC 8032, RFC 6962 and RFC 9162.
2. `tiles` and `notes`: what the files of an export say, and who signed a checkpoint.
3. `bundles` and `walk`: that nothing is missing, changed or added.
4. `forgotten`: which of what is missing went by an order on record, each of which `walk` finds in the tree.
5. `people` and `decisions`: that what went out was decided.

That the export is what was signed rests on those of 1 to 3 alone. Those of 4 excuse nothing but what is
missing, those of 5 can only find more to be wrong. The rest judges nothing: `verification` puts these
together, `workers` has several processes read bundles, `proof` verifies one entry by 1 and 2, `report` says
what was found, `errors` what cannot be read, `command` what is asked for.
"""
