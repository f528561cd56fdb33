"""Namespaces, nodes, services, endpoints, events: core/v1 without pods."""

STRUCTS = """
Namespace
  apiVersion:string kind:string metadata:ObjectMeta#1 spec:NamespaceSpec#2
  status:NamespaceStatus#3
NamespaceSpec
  finalizers:[]string#1
NamespaceStatus
  conditions:[]NamespaceCondition@type#2 phase:string#1
NamespaceCondition
  lastTransitionTime:time#4 message:string#6 reason:string#5 status!:string#2 type!:string#1
Node
  apiVersion:string kind:string metadata:ObjectMeta#1 spec:NodeSpec#2 status:NodeStatus#3
NodeSpec
  configSource:NodeConfigSource#6 externalID:string#2 podCIDR:string#1 podCIDRs:[]string@#7
  providerID:string#3 taints:[]Taint#5 unschedulable:bool#4
NodeConfigSource
  configMap:ConfigMapNodeConfigSource#2
ConfigMapNodeConfigSource
  kubeletConfigKey!:string#5 name!:string#2 namespace!:string#1 resourceVersion:string#4
  uid:string#3
Taint
  effect!:string#3 key!:string#1 timeAdded:time#4 value:string#2
NodeStatus
  addresses:[]NodeAddress@type#5 allocatable:{}quantity#2 capacity:{}quantity#1
  conditions:[]NodeCondition@type#4 config:NodeConfigStatus#11
  daemonEndpoints:NodeDaemonEndpoints#6 features:NodeFeatures#13 images:[]ContainerImage#8
  nodeInfo:NodeSystemInfo#7 phase:string#3 runtimeHandlers:[]NodeRuntimeHandler#12
  volumesAttached:[]AttachedVolume#10 volumesInUse:[]string#9
NodeAddress
  address!:string#2 type!:string#1
NodeCondition
  lastHeartbeatTime:time#3 lastTransitionTime:time#4 message:string#6 reason:string#5
  status!:string#2 type!:string#1
NodeConfigStatus
  active:NodeConfigSource#2 assigned:NodeConfigSource#1 error:string#4
  lastKnownGood:NodeConfigSource#3
NodeDaemonEndpoints
  kubeletEndpoint:DaemonEndpoint#1
DaemonEndpoint
  Port!:int32#1
NodeFeatures
  supplementalGroupsPolicy:bool#1
ContainerImage
  names:[]string#1 sizeBytes:int64#2
NodeSystemInfo
  architecture!:string#10 bootID!:string#3 containerRuntimeVersion!:string#6
  kernelVersion!:string#4 kubeProxyVersion!:string#8 kubeletVersion!:string#7 machineID!:string#1
  operatingSystem!:string#9 osImage!:string#5 systemUUID!:string#2
NodeRuntimeHandler
  features:NodeRuntimeHandlerFeatures#2 name:string#1
NodeRuntimeHandlerFeatures
  recursiveReadOnlyMounts:bool#1 userNamespaces:bool#2
AttachedVolume
  devicePath!:string#2 name!:string#1
Service
  apiVersion:string kind:string metadata:ObjectMeta#1 spec:ServiceSpec#2 status:ServiceStatus#3
ServiceSpec
  allocateLoadBalancerNodePorts?:bool#20 clusterIP:string#3 clusterIPs:[]string#18
  externalIPs:[]string#5 externalName:string#10 externalTrafficPolicy:string#11
  healthCheckNodePort:int32#12 internalTrafficPolicy:string#22 ipFamilies:[]string#19
  ipFamilyPolicy:string#17 loadBalancerClass:string#21 loadBalancerIP:string#8
  loadBalancerSourceRanges:[]string#9 ports:[]ServicePort@port%port,protocol#1
  publishNotReadyAddresses:bool#13 selector:{}string%#2 sessionAffinity:string#7
  sessionAffinityConfig:SessionAffinityConfig#14 trafficDistribution:string#23 type:string#4
ServicePort
  appProtocol:string#6 name:string#1 nodePort:int32#5 port!:int32#3 protocol:string#2
  targetPort:intstr#4
SessionAffinityConfig
  clientIP:ClientIPConfig#1
ClientIPConfig
  timeoutSeconds?:int32#1
ServiceStatus
  conditions:[]Condition@type#2 loadBalancer:LoadBalancerStatus#1
LoadBalancerStatus
  ingress:[]LoadBalancerIngress#1
LoadBalancerIngress
  hostname:string#2 ip:string#1 ipMode:string#3 ports:[]PortStatus#4
PortStatus
  error:string#3 port!:int32#1 protocol!:string#2
Endpoints
  apiVersion:string kind:string metadata:ObjectMeta#1 subsets:[]EndpointSubset#2
EndpointSubset
  addresses:[]EndpointAddress#1 notReadyAddresses:[]EndpointAddress#2 ports:[]EndpointPort#3
EndpointAddress
  hostname:string#3 ip!:string#1 nodeName:string#4 targetRef:ObjectReference#2
ObjectReference
  apiVersion:string#5 fieldPath:string#7 kind:string#1 name:string#3 namespace:string#2
  resourceVersion:string#6 uid:string#4
EndpointPort
  appProtocol:string#4 name:string#1 port!:int32#2 protocol:string#3
Event
  action:string#12 apiVersion:string count:int32#8 eventTime:microtime#10 firstTimestamp:time#6
  involvedObject!:ObjectReference#2 kind:string lastTimestamp:time#7 message:string#4
  metadata!:ObjectMeta#1 reason:string#3 related:ObjectReference#13 reportingComponent:string#14
  reportingInstance:string#15 series:EventSeries#11 source:EventSource#5 type:string#9
EventSeries
  count:int32#1 lastObservedTime:microtime#2
EventSource
  component:string#1 host:string#2
Binding
  apiVersion:string kind:string metadata:ObjectMeta#1 target!:ObjectReference#2
ConfigMap
  apiVersion:string binaryData:{}bytes#3 data:{}string#2 immutable?:bool#4 kind:string
  metadata:ObjectMeta#1
ServiceAccount
  apiVersion:string automountServiceAccountToken?:bool#4
  imagePullSecrets:[]LocalObjectReference@name#3 kind:string metadata:ObjectMeta#1
  secrets:[]ObjectReference@name#2
"""
