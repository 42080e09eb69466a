"""The run folders, which are the truth: layout, states, intents, locks, rules of retrying.

``root`` knows the layout. ``standing`` tells the state of a run from its files and its ``jobs``;
``retry`` says which runs are due. ``intents`` logs submissions, ``locks`` lets one launcher at a
time write, ``clean`` frees space.
"""
