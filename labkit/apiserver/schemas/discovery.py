"""EndpointSlices: discovery.k8s.io/v1."""

STRUCTS = """
EndpointSlice
  addressType!:string#4 apiVersion:string endpoints!:[]Endpoint#2 kind:string
  metadata:ObjectMeta#1 ports:[]discovery.EndpointPort#3
Endpoint
  addresses!:[]string#1 conditions:EndpointConditions#2 deprecatedTopology:{}string#5
  hints:EndpointHints#8 hostname:string#3 nodeName:string#6 targetRef:ObjectReference#4
  zone:string#7
EndpointConditions
  ready?:bool#1 serving?:bool#2 terminating?:bool#3
EndpointHints
  forZones:[]ForZone#1
ForZone
  name!:string#1
discovery.EndpointPort
  appProtocol:string#4 name?:string#1 port?:int32#3 protocol:string#2
"""
