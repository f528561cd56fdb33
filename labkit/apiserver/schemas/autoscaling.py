"""How many replicas: the one struct of autoscaling/v1 that other groups use, too."""

STRUCTS = """
Scale
  apiVersion:string kind:string metadata:ObjectMeta#1 spec:ScaleSpec#2 status:ScaleStatus#3
ScaleSpec
  replicas:int32#1
ScaleStatus
  replicas!:int32#1 selector:string#2
"""
