"""Events as events.k8s.io/v1 has them."""

STRUCTS = """
events.Event
  action:string#6 apiVersion:string deprecatedCount:int32#15 deprecatedFirstTimestamp:time#13
  deprecatedLastTimestamp:time#14 deprecatedSource:EventSource#12 eventTime!:microtime#2
  kind:string metadata:ObjectMeta#1 note:string#10 reason:string#7 regarding:ObjectReference#8
  related:ObjectReference#9 reportingController:string#4 reportingInstance:string#5
  series:events.EventSeries#3 type:string#11
events.EventSeries
  count!:int32#1 lastObservedTime!:microtime#2
"""
