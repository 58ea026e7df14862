export { type NotificationMetrics } from './notification-counters.js';
export { NotificationModule } from './notification.module.js';
export { NotificationService } from './notification.service.js';
