"""The neutral request and answer: what every dialect says, without the dialect.

- `caller`: who sends a request or casts a vote; `scope`: what a service may ask for at most
- `request`: texts by role, tools, parameters; `answer`: text channels of one frame
"""
