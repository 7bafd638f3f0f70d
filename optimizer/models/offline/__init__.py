"""The stand-in model: deterministic, rule-following, and called a stand-in wherever a figure rests on it.

`answer.reply` is its one door. What it knows stands in `world.json`, what it obeys in `docs/offline.md`.
"""
