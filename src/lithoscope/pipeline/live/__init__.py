"""`watch`: the stages of a run on data that still come in.

`engine.watch` is the entry; nothing is imported here, since the configuration of a run
(`pipeline.settings`) needs `live.settings`, and the engine needs the configuration.
"""
