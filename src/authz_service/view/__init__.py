"""The neutral request and answer: what every dialect says, without the dialect.

- `caller`: who sends a request or casts a vote; `scope`: what a service may ask for at most
- `request`: texts by role, tools, parameters; `turns`: the same as people read it
- `answer`: text channels of one frame
- `exact`: a document as it is compared and told, with its numbers as they are written
- `pointer`: a place in a document
"""
