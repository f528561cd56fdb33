"""What makes pods: apps/v1."""

STRUCTS = """
ReplicaSet
  apiVersion:string kind:string metadata:ObjectMeta#1 spec:ReplicaSetSpec#2
  status:ReplicaSetStatus#3
ReplicaSetSpec
  minReadySeconds:int32#4 replicas?:int32#1 selector!:LabelSelector#2 template:PodTemplateSpec#3
ReplicaSetStatus
  availableReplicas:int32#5 conditions:[]ReplicaSetCondition@type#6 fullyLabeledReplicas:int32#2
  observedGeneration:int64#3 readyReplicas:int32#4 replicas!:int32#1
ReplicaSetCondition
  lastTransitionTime:time#3 message:string#5 reason:string#4 status!:string#2 type!:string#1
"""
