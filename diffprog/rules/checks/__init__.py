"""The checker's parts: what is drawn, what is run, what is compared, and how it is reported.

`subject` says what is checked and draws everything random; `evidence` runs it, compiled; `first_order`,
`higher_order`, `transformations` and `numbers` compare; `proof` reports. `diffprog.rules.check` joins them.
"""
