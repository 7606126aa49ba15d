"""What ``import cistransfer as ct`` hands out: functions that compose the rooms.

They take what people have (paths, tables, texts, names; `cistransfer.api.doors`) and have no logic
of their own. The verbs of the command line call them.
"""
